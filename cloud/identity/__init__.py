"""Who there is: owners, sessions, the operator, households, sites, pets, collars."""
