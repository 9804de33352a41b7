// jose: tokens signed, verified and encrypted with Web Cryptography.
import * as jose from 'jose';

const issuer = 'urn:tenantd:test';

async function signed(alg, options) {
	const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true, ...options });
	const token = await new jose.SignJWT({ role: 'admin' })
		.setProtectedHeader({ alg })
		.setIssuer(issuer)
		.setSubject('ada')
		.setIssuedAt()
		.setExpirationTime('2h')
		.sign(privateKey);
	const jwk = await jose.exportJWK(publicKey);
	const key = await jose.importJWK({ ...jwk, alg });
	const { payload } = await jose.jwtVerify(token, key, { issuer, algorithms: [alg] });
	const [head, body, mark] = token.split('.');
	const changed = `${head}.${jose.base64url.encode(JSON.stringify({ ...payload, role: 'root' }))}.${mark}`;
	const refused = await jose.jwtVerify(changed, key).catch((error) => error.code);
	const pem = await jose.exportSPKI(publicKey);
	const again = await jose.jwtVerify(token, await jose.importSPKI(pem, alg));
	return `${payload.sub} ${payload.role} ${refused} ${again.payload.sub} ${(await jose.calculateJwkThumbprint(jwk)).length}`;
}

async function encrypted(alg, enc) {
	const { publicKey, privateKey } = await jose.generateKeyPair(alg);
	const token = await new jose.EncryptJWT({ secret: 42 }).setProtectedHeader({ alg, enc }).setIssuer(issuer).encrypt(publicKey);
	const { payload } = await jose.jwtDecrypt(token, privateKey, { issuer });
	return payload.secret;
}

async function keySet() {
	const { publicKey, privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
	const set = jose.createLocalJWKSet({ keys: [{ ...(await jose.exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] });
	const token = await new jose.SignJWT({}).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(privateKey);
	return (await jose.jwtVerify(token, set)).protectedHeader.kid;
}

async function expired() {
	const secret = new TextEncoder().encode('a secret of thirty-two bytes, at least');
	const token = await new jose.SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(1).sign(secret);
	return jose.jwtVerify(token, secret).catch((error) => error.code);
}

export default {
	async fetch() {
		const out = {};
		for (const alg of ['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256', 'PS256']) out[alg] = await signed(alg);
		out['RSA-OAEP-256'] = await encrypted('RSA-OAEP-256', 'A256GCM');
		out['ECDH-ES+A256KW'] = await encrypted('ECDH-ES+A256KW', 'A128CBC-HS256');
		out.set = await keySet();
		out.expired = await expired();
		return Response.json(out);
	},
};
