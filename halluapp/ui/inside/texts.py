"""The sentences of the fold that come from the server; the others stand in its template and scripts."""

NOTHING = "Run a comparison, or open a report: then every word of its answers can be looked into."
NO_REPORT = "There is no answer to look into yet; press Run."
NO_PHOTO = "This report carries no photo; run the comparison again to look into it."
SMALL_COPY = "Read from the small copy of the photo that the report carries: numbers can differ a little from its own."
OTHER_MODEL = "This report is of {other}, and {name} is loaded; run the comparison again to look into it."
FAILED = "Looking into this word broke off on the server; choose it again."
NOT_A_QUESTION = "The page asked for something unknown; reload it and try again."
