"""Review of a result: matches one by one, their verdicts, and the precision that follows from them."""
