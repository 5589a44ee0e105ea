"""The local room: hub, authentication, datasets, storage, queues, toolkits."""
