"""What the user paints means: label rules, and the record of annotated pixels."""
