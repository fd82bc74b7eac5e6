"""One file per revision, named by its number, an underscore and its purpose."""
