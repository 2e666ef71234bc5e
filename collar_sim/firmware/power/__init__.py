"""The battery: what each part takes of it, and what the collar does when it is off."""
