/* What the list of tokens needs besides. Collecting the static files makes one file of it. */
import "./filters.js";
import "./copy.js";
import "./selection.js";
