"""Models on their way to collars: which collars shall have which, and how far they are."""
