"""Network parts that several systems share."""
