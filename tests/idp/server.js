// SAML 2.0 identity providers for the tests, one for each name. The npm package samlp builds the
// responses; this server has a login form without a password, which accepts any user: a provider can
// claim what it likes, and the portal must withstand that.
//
// Standard input: one line, {"name": {"key": "PEM", "certificate": "PEM"}, …}. Its end is the end of
// the server, too: nothing outlives tests that were killed.
// Standard output: the address, once it answers. Provider `name` is below /name/:
//   GET  metadata   what the portal must know of it
//   PUT  service    the portal's metadata: what it must know of the portal
//   GET  sso        shows the login form (with SAMLRequest, or unsolicited)
//   POST sso        answers the portal with a signed response
//   GET  slo        ends sessions, at the portal's request or on its own
"use strict";

const { randomUUID } = require("node:crypto");
const readline = require("node:readline");
const { DOMParser } = require("@xmldom/xmldom");
const express = require("express");
const samlp = require("samlp");
const SessionParticipants = require("samlp/lib/sessionParticipants");

const METADATA = "urn:oasis:names:tc:SAML:2.0:metadata";
const PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
const REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
const SIGNED = {
  both: { signAssertion: true, signResponse: true },
  assertion: { signAssertion: true, signResponse: false },
  message: { signAssertion: false, signResponse: true },
};

const providers = new Map();

const app = express();
app.disable("x-powered-by");
app.get("/favicon.ico", (req, res) => res.sendStatus(204));
app.use("/:provider", (req, res, next) => {
  req.provider = providers.get(req.params.provider);
  return req.provider ? next() : res.sendStatus(404);
});
app.use(express.urlencoded({ extended: false, limit: "1mb" }));
app.use(express.text({ type: "application/samlmetadata+xml" }));

app.get("/:provider/metadata", (req, res, next) => {
  const { name, cert } = req.provider;
  samlp.metadata({
    issuer: issuerOf(name),
    cert,
    profileMapper,
    redirectEndpointPath: `/${name}/sso`,
    postEndpointPath: `/${name}/sso`,
    logoutEndpointPaths: { redirect: `/${name}/slo` },
  })(req, res, next);
});

app.put("/:provider/service", (req, res) => {
  const service = serviceOf(req.body);
  req.provider.services.set(service.entityId, service);
  res.sendStatus(204);
});

app.get("/:provider/sso", (req, res) => {
  const hidden = ["SAMLRequest", "RelayState", "service"]
    .filter((field) => req.query[field] !== undefined)
    .map((field) => `<input type="hidden" name="${field}" value="${escaped(req.query[field])}">`);
  res.send(`<!doctype html>
    <html lang="en"><title>Who are you?</title>
    <h1>Sign in at ${escaped(req.provider.name)}</h1>
    <form method="post">
      ${hidden.join("\n")}
      <p><label>User name <input name="subject" required autofocus></label></p>
      <p><label>Email <input name="email"></label></p>
      <p><label>Name <input name="name"></label></p>
      <p><label>Role <input name="role"></label></p>
      <p><label>Signed <select name="signed">
        <option>both<option>assertion<option>message
      </select></label></p>
      <button>Sign in</button>
    </form></html>`);
});

app.post("/:provider/sso", (req, res, next) => {
  samlp.parseRequest(req, (error, request) => {
    if (error) return next(error);
    const entityId = request ? request.issuer : req.body.service;
    const service = req.provider.services.get(entityId);
    if (!service) return res.status(403).send(`Nobody told me of ${escaped(entityId)}.`);
    return answer(service, req, res, next);
  });
});

app.get("/:provider/slo", (req, res, next) => {
  const { name, key, cert, states } = req.provider;
  samlp.logout({
    issuer: issuerOf(name),
    key,
    cert,
    deflate: true,
    protocolBinding: REDIRECT,
    sessionParticipants: sessionsOf(req, res),
    store: storeIn(states),
  })(req, res, next);
});

app.use((error, req, res, next) => res.status(400).type("text/plain").send(String(error)));

let server;
const input = readline.createInterface({ input: process.stdin });
input.once("line", (line) => {
  for (const [name, { key, certificate: cert }] of Object.entries(JSON.parse(line))) {
    const known = { services: new Map(), browsers: new Map(), states: new Map() };
    providers.set(name, { name, key, cert, ...known });
  }
  server = app.listen(0, "127.0.0.1", () => console.log(address()));
});
input.once("close", () => process.exit());

function address() {
  return `http://127.0.0.1:${server.address().port}`;
}

function issuerOf(name) {
  return `${address()}/${name}/metadata`;
}

function answer(service, req, res, next) {
  const { name, key, cert } = req.provider;
  const { subject, format, email, name: fullName, role, signed } = req.body;
  const session = {
    serviceProviderId: service.entityId,
    nameId: subject,
    nameIdFormat: format || PERSISTENT,
    sessionIndex: `_${randomUUID()}`,
    serviceProviderLogoutURL: service.slo,
  };
  sessionsOf(req, res).add(session);
  samlp.auth({
    issuer: issuerOf(name),
    key,
    cert,
    ...SIGNED[signed || "both"],
    audience: service.entityId,
    destination: service.acs,
    recipient: service.acs,
    sessionIndex: session.sessionIndex,
    lifetimeInSeconds: 300,
    includeAttributeNameFormat: true,
    getPostURL: (audience, request, asked, callback) => callback(null, service.acs),
    getUserFromRequest: () => ({
      subject,
      format: session.nameIdFormat,
      claims: claimed({ mail: email, displayName: fullName, role }),
    }),
    profileMapper,
  })(req, res, next);
}

function claimed(attributes) {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value));
}

function profileMapper(person) {
  return {
    getClaims: () => person.claims,
    getNameIdentifier: () => ({
      nameIdentifier: person.subject,
      nameIdentifierFormat: person.format,
    }),
  };
}
profileMapper.prototype.metadata = [];

function serviceOf(xml) {
  const root = new DOMParser().parseFromString(xml, "text/xml").documentElement;
  const location = (tag) => root.getElementsByTagNameNS(METADATA, tag)[0]?.getAttribute("Location");
  return {
    entityId: root.getAttribute("entityID"),
    acs: location("AssertionConsumerService"),
    slo: location("SingleLogoutService"),
  };
}

// Where a browser is signed in: it is known by a cookie, as at any provider.
class Sessions extends SessionParticipants {
  add(session) {
    this._participants.push(session);
  }
}

function sessionsOf(req, res) {
  const { name, browsers } = req.provider;
  const [, known] = new RegExp(`(?:^|; )${name}=([^;]+)`).exec(req.headers.cookie ?? "") ?? [];
  const browser = known ?? randomUUID();
  if (!browsers.has(browser)) browsers.set(browser, new Sessions());
  res.cookie(name, browser, { httpOnly: true, sameSite: "lax" });
  return browsers.get(browser);
}

function storeIn(states) {
  return {
    save(req, state, callback) {
      const handle = randomUUID();
      states.set(handle, state);
      callback(null, handle);
    },
    load(req, handle, options, callback) {
      const state = states.get(handle);
      if (typeof options !== "function" && options.destroy) states.delete(handle);
      (callback || options)(null, state);
    },
    update(req, handle, state, callback) {
      states.set(handle, state);
      callback(null, handle);
    },
  };
}

function escaped(text) {
  return String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
