"""What `process doctor` looks at: thin probes (`probes`), the facts they bring (`facts`), pure verdicts."""
