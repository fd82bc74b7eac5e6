"""When the machine stops by itself: the sleep timer, the parents' rules, the power-off of an idle machine."""
