"""Requests to language models and their streamed answers, in three dialects: OpenAI's Responses and Chat
Completions, Anthropic's Messages. One model of both (`request`, `events`), one codec for each dialect.
"""
