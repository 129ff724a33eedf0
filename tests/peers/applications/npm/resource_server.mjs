// A resource server of two foreign verifiers that keep our keys: /stock on express-oauth2-jwt-bearer, with DPoP where a
// token is bound, /stock/certificate there with certificates, /stock/jose on jose's createRemoteJWKSet.
// Configured by ISSUER, RESOURCE, HOST and PORT.
import express from 'express';
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer';
import * as jose from 'jose';

const { ISSUER, RESOURCE, HOST, PORT } = process.env;
const published = await (await fetch(`${ISSUER}/.well-known/openid-configuration`)).json();
const cacheMaxAge = 500; // milliseconds: the hour for which our keys may be kept, in a run that waits for no hour
const expected = { issuerBaseURL: ISSUER, audience: RESOURCE, strict: true, cacheMaxAge };
const keys = jose.createRemoteJWKSet(new URL(published.jwks_uri), { cacheMaxAge });
const app = express();
const tell = (request, response) => response.json({ claims: request.auth.payload, kid: request.auth.header.kid });

app.get('/up', (_request, response) => response.send('up'));
app.get('/stock', auth(expected), requiredScopes('stock.read'), tell);
app.get('/stock/changes', auth(expected), requiredScopes('stock.write'), tell);
// The certificate as the proxy in front passes it on: PEM, percent-encoded.
const getCertificate = (request) => {
  const passedOn = request.get('X-SSL-Client-Cert');
  return passedOn ? decodeURIComponent(passedOn) : undefined;
};
app.get('/stock/certificate', auth({ ...expected, mtls: { enabled: true, required: true }, dpop: { enabled: false }, getCertificate }), tell);

app.get('/stock/jose', async (request, response) => {
  const [, token] = (request.get('Authorization') ?? '').split(' ');
  try {
    const { payload, protectedHeader } = await jose.jwtVerify(token, keys, {
      issuer: ISSUER,
      audience: RESOURCE,
      typ: 'at+jwt',
      algorithms: ['RS256'],
    });
    response.json({ claims: payload, kid: protectedHeader.kid, kept: keys.jwks().keys.map(({ kid }) => kid) });
  } catch (problem) {
    response.status(401).json({ code: problem.code, message: problem.message });
  }
});

app.use((problem, _request, response, _next) => {
  response.status(problem.status ?? 500).set(problem.headers ?? {}).json({ code: problem.code, message: problem.message });
});
app.listen(Number(PORT), HOST);
