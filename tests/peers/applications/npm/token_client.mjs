// A client with openid-client. Each POST of JSON to / is one use of it; /jwks has its public key.
// A use: {client_id, authentication, do, with, dpop, assertion}. `do` is a function of openid-client, "again" (the last
// request once more, byte by byte) or "fetch" (a resource, `with` {url, token, scheme}); `dpop` names a key that is kept.
// The answer: {said, problem, trace_ids}. Configured by ISSUER, SECRETS (JSON by client), HOST and PORT.
import http from 'node:http';
import * as client from 'openid-client';
import * as jose from 'jose';

const { ISSUER, SECRETS, HOST, PORT } = process.env;
const secrets = JSON.parse(SECRETS);
const { privateKey, publicKey } = await jose.generateKeyPair('ES256', { extractable: true });
const jwks = { keys: [{ ...(await jose.exportJWK(publicKey)), kid: 'npm', use: 'sig', alg: 'ES256' }] };
const configurations = new Map();
const bindings = new Map();

const AUTHENTICATIONS = {
  client_secret_basic: (id) => client.ClientSecretBasic(secrets[id]),
  client_secret_post: (id) => client.ClientSecretPost(secrets[id]),
  private_key_jwt: (_id, claims) => client.PrivateKeyJwt(
    { key: privateKey, kid: 'npm' },
    { [client.modifyAssertion]: (_header, payload) => Object.assign(payload, claims) },
  ),
};

async function configuration(wish) {
  const name = JSON.stringify([wish.client_id, wish.authentication, wish.assertion ?? {}]);
  if (!configurations.has(name)) {
    const proof = AUTHENTICATIONS[wish.authentication](wish.client_id, wish.assertion ?? {});
    const options = { execute: [client.allowInsecureRequests] };
    configurations.set(name, await client.discovery(new URL(ISSUER), wish.client_id, {}, proof, options));
  }
  return configurations.get(name);
}

async function binding(config, name) {
  if (!bindings.has(name)) bindings.set(name, client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')));
  return { DPoP: bindings.get(name) };
}

let last;
async function use(wish) {
  const config = await configuration(wish);
  const traceIds = [];
  const statuses = [];
  const seen = (response) => {
    statuses.push(response.status);
    if (response.headers.has('Countersign-Trace')) traceIds.push(response.headers.get('Countersign-Trace'));
    return response;
  };
  config[client.customFetch] = async (url, options) => {
    last = [url, options];
    return seen(await fetch(url, options));
  };
  const options = wish.dpop ? await binding(config, wish.dpop) : undefined;
  const { grant_type, token, url, scheme, ...parameters } = wish.with ?? {};
  const told = { said: null, problem: null };
  try {
    if (wish.do === 'again') {
      told.said = await read(seen(await fetch(...last)));
    } else if (wish.do === 'fetch' && scheme) {
      told.said = await read(seen(await fetch(url, { headers: { Authorization: `${scheme} ${token}` } })));
    } else if (wish.do === 'fetch') {
      told.said = await read(await client.fetchProtectedResource(config, token, new URL(url), 'GET', undefined, undefined, options));
    } else if (wish.do === 'genericGrantRequest') {
      told.said = await client.genericGrantRequest(config, grant_type, parameters, options);
    } else if (wish.do === 'clientCredentialsGrant') {
      told.said = await client.clientCredentialsGrant(config, parameters, options);
    } else {
      told.said = (await client[wish.do](config, token, parameters)) ?? {};
    }
  } catch (problem) {
    const { name, code, error, error_description, message, cause } = problem;
    told.problem = { name, code, error, error_description, message, cause };
  }
  return { ...told, statuses, trace_ids: traceIds };
}

async function read(response) {
  const text = await response.text();
  return { status: response.status, challenge: response.headers.get('WWW-Authenticate'), body: text.startsWith('{') ? JSON.parse(text) : text };
}

http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let told = request.url === '/jwks' ? jwks : { up: true };
  if (request.method === 'POST') {
    told = await use(JSON.parse(Buffer.concat(chunks).toString())).catch((problem) => ({ problem: { message: String(problem.stack) }, trace_ids: [] }));
  }
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(told));
}).listen(Number(PORT), HOST);
