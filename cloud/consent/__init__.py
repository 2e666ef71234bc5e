"""What owners allow: giving, listing and withdrawing grants, and holding every row to them."""
