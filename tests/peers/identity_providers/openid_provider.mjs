// An OpenID identity provider on oidc-provider, with its own development pages: any name and any password sign on.
// Configured by ISSUER, HOST, PORT, DOMAIN, REDIRECT_URI, and CLIENT_SECRET or JWKS_URI.
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const { ISSUER, HOST, PORT, DOMAIN, REDIRECT_URI, CLIENT_SECRET, JWKS_URI } = process.env;
const algorithm = JWKS_URI ? 'ES256' : 'RS256';
const { privateKey } = JWKS_URI
  ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
  : generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(ISSUER, {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'peer', use: 'sig', alg: algorithm }] },
  clients: [{
    client_id: 'countersign',
    redirect_uris: [REDIRECT_URI],
    id_token_signed_response_alg: algorithm,
    ...(JWKS_URI
      ? { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: JWKS_URI }
      : { token_endpoint_auth_method: 'client_secret_basic', client_secret: CLIENT_SECRET }),
  }],
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'email', 'groups'],
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'given_name', 'family_name'],
    groups: ['groups'],
  },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      email: `${id}@${DOMAIN}`,
      email_verified: true,
      name: `${id} Ålesund`,
      given_name: id,
      family_name: 'Ålesund',
      groups: ['engineering', 'on call'],
    }),
  }),
  // A company's own client: its people are not asked for consent.
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope(oidc.params.scope);
    await grant.save();
    return grant;
  },
  // Its own guard lets it fetch nothing from loopback, where our keys are.
  fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
  cookies: { keys: ['for-one-run-on-loopback-only'] },
});
for (const name of ['server_error', 'authorization.error', 'grant.error', 'userinfo.error']) {
  provider.on(name, (_context, error) => console.error(name, error.message, error.error_description, error.error_detail));
}
provider.listen(Number(PORT), HOST);
