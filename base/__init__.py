"""What every part of the product stands on: durable files, trusted time, TLS dates, back-off."""
