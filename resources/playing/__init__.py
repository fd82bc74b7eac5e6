"""What plays, in which order, from where and how far: the queue, the orders, the teller of stories."""
