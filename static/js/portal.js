/* What every page of the portal needs. Collecting the static files makes one file of it. */
import "./menus.js";
import "./nav.js";
import "./exact-times.js";
