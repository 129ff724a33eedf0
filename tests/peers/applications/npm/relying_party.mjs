// An application with openid-client: /whoami wants a sign-on and tells who came, /refresh renews its tokens,
// /logout ends the broker's session, and the broker's logout tokens, which jose verifies, end ours. Configured by ISSUER, CLIENT_ID, CLIENT_SECRET, ALGORITHM, HOST and PORT. With
// RESOURCE it pushes its requests, binds its tokens by DPoP, and /resource calls there with a token for it.
import http from 'node:http';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as client from 'openid-client';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, ALGORITHM, HOST, PORT, RESOURCE } = process.env;
const base = `http://${HOST}:${PORT}`;
const config = await client.discovery(
  new URL(ISSUER),
  CLIENT_ID,
  { id_token_signed_response_alg: ALGORITHM },
  RESOURCE ? client.ClientSecretPost(CLIENT_SECRET) : client.ClientSecretBasic(CLIENT_SECRET),
  { execute: [client.allowInsecureRequests] },
);
client.enableNonRepudiationChecks(config); // ID tokens are verified with the published keys, not by TLS alone
const newBinding = async () => (RESOURCE ? { DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) } : undefined);
const TYPE = 'urn:ietf:params:oauth:token-type:access_token';
const visitors = new Map();
const published = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri));
const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

// OpenID Connect Back-Channel Logout 1.0 section 2.6; what throws answers 400.
async function endSessions(request) {
  const form = new URLSearchParams((await request.toArray()).join(''));
  const { payload } = await jwtVerify(form.get('logout_token'), published, {
    issuer: ISSUER,
    audience: CLIENT_ID,
    typ: 'logout+jwt',
    algorithms: [ALGORITHM],
    requiredClaims: ['iat', 'exp', 'jti', 'events', 'sid'],
    maxTokenAge: '2 minutes',
  });
  if (!payload.events[EVENT] || 'nonce' in payload) throw new Error('no logout token');
  for (const visitor of visitors.values()) {
    if (visitor.tokens?.claims().sid === payload.sid && visitor.tokens.claims().sub === payload.sub) delete visitor.tokens;
  }
}

const routes = {
  '/up': async () => 'up',
  '/signed-out': async (visitor, url) => ({ signedOut: url.searchParams.get('state') === visitor.logoutState }),

  async '/whoami'(visitor) {
    if (visitor.tokens) return visitor.told;
    visitor.verifier = client.randomPKCECodeVerifier();
    visitor.state = client.randomState();
    visitor.nonce = client.randomNonce();
    visitor.binding = await newBinding();
    const build = RESOURCE ? client.buildAuthorizationUrlWithPAR : client.buildAuthorizationUrl;
    return build(config, {
      redirect_uri: `${base}/callback`,
      scope: 'openid profile email groups offline_access',
      code_challenge: await client.calculatePKCECodeChallenge(visitor.verifier),
      code_challenge_method: 'S256',
      state: visitor.state,
      nonce: visitor.nonce,
    }, visitor.binding);
  },

  async '/callback'(visitor, url) {
    const checks = {
      pkceCodeVerifier: visitor.verifier,
      expectedState: visitor.state,
      expectedNonce: visitor.nonce,
      idTokenExpected: true,
    };
    visitor.tokens = await client.authorizationCodeGrant(config, url, checks, undefined, visitor.binding);
    await tell(visitor);
    return new URL(`${base}/whoami`);
  },

  async '/refresh'(visitor) {
    const spent = visitor.tokens;
    const renewed = await client.refreshTokenGrant(config, spent.refresh_token, undefined, visitor.binding);
    visitor.tokens = { ...renewed, id_token: renewed.id_token ?? spent.id_token, claims: () => renewed.claims() ?? spent.claims() };
    await tell(visitor);
    return { ...visitor.told, rotated: renewed.refresh_token !== spent.refresh_token };
  },

  '/refresh-unproved': async (visitor) => client.refreshTokenGrant(config, visitor.tokens.refresh_token),

  // Calls the resource for the person, with a token for it that its own is exchanged for; ?key=another: as a thief would.
  async '/resource'(visitor, url) {
    const binding = url.searchParams.get('key') === 'another' ? await newBinding() : visitor.binding;
    const exchanged = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
      subject_token: visitor.tokens.access_token,
      subject_token_type: TYPE,
      resource: RESOURCE,
      scope: url.searchParams.get('scope') ?? 'stock.read',
    }, binding);
    const answer = await client.fetchProtectedResource(config, exchanged.access_token, new URL(RESOURCE), 'GET', undefined, undefined, binding);
    return { exchanged: { ...exchanged, access_token: undefined }, told: await answer.json() };
  },

  async '/logout'(visitor) {
    const { id_token } = visitor.tokens;
    delete visitor.tokens;
    visitor.logoutState = client.randomState();
    return client.buildEndSessionUrl(config, {
      id_token_hint: id_token,
      post_logout_redirect_uri: `${base}/signed-out`,
      state: visitor.logoutState,
    });
  },
};

async function tell(visitor) {
  const claims = visitor.tokens.claims();
  const userinfo = await client.fetchUserInfo(config, visitor.tokens.access_token, claims.sub, visitor.binding);
  visitor.told = { peer: 'openid-client', claims, userinfo, tokenType: visitor.tokens.token_type };
}

http.createServer(async (request, response) => {
  const url = new URL(request.url, base);
  if (request.method === 'POST' && url.pathname === '/backchannel-logout') {
    return endSessions(request).then(
      () => response.writeHead(200, { 'Cache-Control': 'no-store' }).end(),
      ({ message }) => response.writeHead(400, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error: 'invalid_request', error_description: message })),
    );
  }
  const cookie = /(?:^|; )relying-party=(\w+)/.exec(request.headers.cookie ?? '')?.[1] ?? client.randomNonce().replace(/\W/g, '');
  if (!visitors.has(cookie)) visitors.set(cookie, {});
  response.setHeader('Set-Cookie', `relying-party=${cookie}; HttpOnly; SameSite=Lax; Path=/`);
  try {
    const answer = routes[url.pathname] ? await routes[url.pathname](visitors.get(cookie), url) : undefined;
    if (answer === undefined) response.writeHead(404).end();
    else if (answer instanceof URL) response.writeHead(302, { Location: answer.href }).end();
    else response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
  } catch (problem) {
    console.error(problem);
    const { name, code, error, error_description, message } = problem;
    response.writeHead(403, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ peer: 'openid-client', problem: { name, code, error, error_description, message } }));
  }
}).listen(Number(PORT), HOST);
