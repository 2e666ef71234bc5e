"""The gateway: keeps what a home's collars say, has plugins judge it, shares what is granted."""
