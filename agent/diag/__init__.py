"""``story-agent diag``: one archive with what a maker needs to help, and nothing that is the family's or secret."""
