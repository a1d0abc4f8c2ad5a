"""Results, verdicts and concepts of a project in one GeoPackage beside it."""
