/* What the dialog with a new token needs. Collecting the static files makes one file of it. */
import "./tabs.js";
import "./copy.js";
import "./secret.js";
import "./first-request.js";
