"""The checks, as data: what each is called, what it asks and where that is written, and how it judges a record."""
