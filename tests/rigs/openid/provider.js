// An OpenID provider as its authors have it, with the pages that it brings for development.
// What it is to be is a JSON object on standard input: port, clients, accounts, jwks, and what may differ.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const wanted = JSON.parse(readFileSync(0, 'utf8'))
const { default: Provider } = await import(pathToFileURL(`${wanted.modules}/oidc-provider/lib/index.js`))

const provider = new Provider(`http://127.0.0.1:${wanted.port}`, {
  clients: wanted.clients,
  jwks: wanted.jwks,
  cookies: { keys: ['of no use beyond this test'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  scopes: ['openid', 'email', 'profile', 'groups'],
  conformIdTokenClaims: wanted.bare,
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...wanted.accounts[id] }) }),
  extraTokenClaims: (ctx, token) => (wanted.resource ? wanted.accounts[token.accountId] : {}),
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
    userinfo: { enabled: !wanted.resource },
    resourceIndicators: {
      enabled: Boolean(wanted.resource),
      defaultResource: () => wanted.resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'openid email profile groups', audience: wanted.resource, accessTokenFormat: 'jwt'
      })
    }
  }
})
provider.on('server_error', (ctx, error) => console.error(error))
provider.listen(wanted.port, '127.0.0.1', () => console.log('ready'))
