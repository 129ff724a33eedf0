// panva's oidc-provider with its own memory as its store: JWT access tokens by client_credentials, for two resources.
// node oidc_provider.mjs PORT CLIENTS SECRET
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';

const [port, count, secret] = process.argv.slice(2);
const keys = [
  ['rsa', { modulusLength: 2048 }, 'RS256'],
  ['ec', { namedCurve: 'P-256' }, 'ES256'],
].map(([kind, options, alg]) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: randomUUID(),
}));
const clients = Array.from({ length: Number(count) }, (_, number) => ({
  client_id: `service-${number}`,
  client_secret: secret,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
}));
const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys },
  clients,
  scopes: ['orders.read'],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'orders.read orders.write',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
        jwt: { sign: { alg: resource.endsWith('rs256') ? 'RS256' : 'ES256' } },
      }),
    },
  },
});
provider.listen(Number(port), '127.0.0.1');
