"""The link to the cloud, the durable outbox, and the delivery of its reports."""
