// X509Certificate and SPKAC.
import crypto, { X509Certificate } from 'node:crypto';
import { Buffer } from 'node:buffer';
import { inspect } from 'node:util';

// Made for these tests with openssl; nobody trusts them.
const caCertificate = `-----BEGIN CERTIFICATE-----
MIICZDCCAc2gAwIBAgIIASNFZ4mrze8wDQYJKoZIhvcNAQELBQAwUzELMAkGA1UE
BhMCREUxITAfBgNVBAoMGFByw7xmc3RlbGxlLCBUZXN0IFwgR21iSDEMMAoGA1UE
CwwDdHdvMRMwEQYDVQQDDApjYS5leGFtcGxlMCAXDTIwMDEwMTAwMDAwMFoYDzIx
MjAwMTAxMDAwMDAwWjBTMQswCQYDVQQGEwJERTEhMB8GA1UECgwYUHLDvGZzdGVs
bGUsIFRlc3QgXCBHbWJIMQwwCgYDVQQLDAN0d28xEzARBgNVBAMMCmNhLmV4YW1w
bGUwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBAKfY7igsBsHnyTQeDkT82z3k
YHBEnM3nNfRaqsDLqdPu+D5wml3hEKY4BSurG14RTW56oAt+YnQyiBd0DQOqM36r
oX6QUZ+W/Pon6IuT4YADeMFzIJ2WaPaa/OKS++YBThGDrQm3C+wuQ7UM2wluOoCr
hk1ElbVmXWKNPYnQWgOZAgMBAAGjPzA9MA8GA1UdEwEB/wQFMAMBAf8wCwYDVR0P
BAQDAgIEMB0GA1UdDgQWBBTB9unnM8U26So8JQtSYvaBlDMhLTANBgkqhkiG9w0B
AQsFAAOBgQB25CjzkRTdJQC82YGpmUSxntP7EyoFilpFnA5iA/JhhAhiVFtH0ufi
AcwG0dHRVK3s8mXdk2KWq9fpnPIHf9S/ZYiN08f6RL8CXmp0jFKeKLFKbXYYxOMS
tjQ59p9RF7E7wzMOia528Sg3wYhG4YLXt27+jh1/JO0OnPd31MeF1w==
-----END CERTIFICATE-----
`;
const ec = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/IvWErWRpq9e80tS
FQRGuCSOqWO7vRzGMkQmfkZJUQmhRANCAATssgrZaaWL3PzZYkuimPKQ4gRBlAk5
E03BeG8vyfT2ITmjAUf4EQz5XwILdkypD2aKujoV5TbPYn15OjV/JTmS
-----END PRIVATE KEY-----
`;
const edCertificate = `-----BEGIN CERTIFICATE-----
MIIBHTCB0KADAgECAgEFMAUGAytlcDANMQswCQYDVQQDDAJlZDAgFw01MDAxMDEw
MDAwMDBaGA85OTk5MTIzMTIzNTk1OVowDTELMAkGA1UEAwwCZWQwKjAFBgMrZXAD
IQAHxdUre29wVBpq343/rtwmO9vlNbnpK0ogk9tQGH+1hKNTMFEwHQYDVR0OBBYE
FMs+U4AG/aYqPNNeckLHZzh0IBgBMB8GA1UdIwQYMBaAFMs+U4AG/aYqPNNeckLH
Zzh0IBgBMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EAOnV7JN0WqbKIL2IMqwAl
KDhSy83KXQ1r5zw1F1d9lNzTKhGsVTUP07SLN+p+zxreG9NHGrCyLXmaD5/5sZv+
Dw==
-----END CERTIFICATE-----
`;
const leafCertificate = `-----BEGIN CERTIFICATE-----
MIIDUzCCArygAwIBAgIBfzANBgkqhkiG9w0BAQsFADBTMQswCQYDVQQGEwJERTEh
MB8GA1UECgwYUHLDvGZzdGVsbGUsIFRlc3QgXCBHbWJIMQwwCgYDVQQLDAN0d28x
EzARBgNVBAMMCmNhLmV4YW1wbGUwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEw
MDAwMDBaMA8xDTALBgNVBAMMBGxlYWYwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATssgrZaaWL3PzZYkuimPKQ4gRBlAk5E03BeG8vyfT2ITmjAUf4EQz5XwILdkyp
D2aKujoV5TbPYn15OjV/JTmSo4IBvjCCAbowgdwGA1UdEQSB1DCB0YILZXhhbXBs
ZS5jb22CDioud2lsZC5leGFtcGxlggRhLGJjgQ5tZUBleGFtcGxlLmNvbYYQaHR0
cDovL3gveT9hPWIsY4cEfwAAAYcQIAENuAAAAAAAAAAAAAAAAYgDKgMEpCUwIzEL
MAkGA1UEBhMCVUsxFDASBgNVBAoMC015IE9yZywgSW5joBoGCCsGAQUFBwgJoA4M
DMODwrxAZXhhbXBsZaAbBgorBgEEAYI3FAIDoA0MC3VwbkBleGFtcGxloA0GAioD
oAcMBW90aGVyMHUGCCsGAQUFBwEBBGkwZzAhBggrBgEFBQcwAYYVaHR0cDovL29j
c3AuZXhhbXBsZS9hMB8GCCsGAQUFBzAChhNodHRwOi8vY2EuZXhhbXBsZS9iMCEG
CCsGAQUFBzABhhVodHRwOi8vc2Vjb25kLmV4YW1wbGUwIgYDVR0lBBswGQYIKwYB
BQUHAwEGCCsGAQUFBwMCBgMqAwQwHQYDVR0OBBYEFB1K37nKwGteZc8SvKusOYRb
wby4MB8GA1UdIwQYMBaAFMH26eczxTbpKjwlC1Ji9oGUMyEtMA0GCSqGSIb3DQEB
CwUAA4GBACogSAuPipB/+7tJ3dlMOYJFhNucRLlvmujGBbGg+KoZF0xC/6yzcJFe
QzjrS/41w7IeGf24n2xVKibH7hlVzhHaXqYtEsXnCFXLI4Ln91oYTN4EEUOsxADN
tkIfYgODNFlYQOguAB1FVyCxSIfNXTBMX2IvpmcLl2F2ttFqKVXH
-----END CERTIFICATE-----
`;
const rsa = `-----BEGIN PRIVATE KEY-----
MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBAKfY7igsBsHnyTQe
DkT82z3kYHBEnM3nNfRaqsDLqdPu+D5wml3hEKY4BSurG14RTW56oAt+YnQyiBd0
DQOqM36roX6QUZ+W/Pon6IuT4YADeMFzIJ2WaPaa/OKS++YBThGDrQm3C+wuQ7UM
2wluOoCrhk1ElbVmXWKNPYnQWgOZAgMBAAECgYBoCZBlGhT+L9uJEHAr1sdWb65P
KFhBUGUjFufsJNEZanA407b7JbwaK3MZBDAseHEUX7HALhB8ka3FS8udT+wmQMpZ
vVlSLhwsFZPQ2hvzDpeP7Nse1NToRZmMKKZvjzJ87XxqAecYHcNqSSVSjSrT7O1Q
KYKIeobsmuc0hzOaAQJBANV6QF5PaK0WNR111Cq3rfF0fuEiIp3tNFasRKwobQP3
+bS8WbZS69r5Z1TTL0Tgp3fPdESVgWQx7I/CMQ4Eh/kCQQDJR+JNKeHdjBubUbdp
SMs8T9Fbw9k2CwWLOefpQUCQUu25Ry3tbnx7Zi7vtH2+8HJkhZJcqTxOzk9l1OOg
pIChAkEAxoUOcOWlsThyonfdmu/++QhdqV0GFhjtUCCZKAPcBRHIi9OQFeYc4SCH
gDF3xrSn59nrBJCHqDZpB/MNjTyXeQJBALqq8uITJIhdxsCN0WZP/0PI1mWfRVOM
dzC+nChDvsfaUOOScrKO091xT7g4kKHCxqQZCDrtLKP9S78p54z04uECQQC3etIy
qSxLbsT5DZtfWkSzJ2fTqczIsy2KA91pNsNmI83KUIXvihmIb7V2kDkF7FV7pd8g
pQ5cDZMyaiLRNRVC
-----END PRIVATE KEY-----
`;
const spkac = 'MIIBQDCBqjCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEAp9juKCwGwefJNB4ORPzbPeRgcESczec19FqqwMup0+74PnCaXeEQpjgFK6sbXhFNbnqgC35idDKIF3QNA6ozfquhfpBRn5b8+ifoi5PhgAN4wXMgnZZo9pr84pL75gFOEYOtCbcL7C5DtQzbCW46gKuGTUSVtWZdYo09idBaA5kCAwEAARYGaMOkbGxvMA0GCSqGSIb3DQEBBAUAA4GBAHThfA8FSSzj6ketfA1qYwAOBPQ0ln2ZLTRoSvPRNaS3iIQgexuROT+3anXEKSg4yZ+jk41viGCIqDdT969ru9PNFv6wbaSY0JFIr4eq5P//v9qOL26cBg7VGmUXV5hyhx7w3PwTaxX65QC3fxVOSc9fSW2R6V5oevU44vYnyxIT';

process.on('warning', () => {});
const attempt = (name, run) => {
	try {
		console.log(name, run());
	} catch (error) {
		console.log(name, error.name, error.code, error.message);
	}
};
const ca = new X509Certificate(caCertificate);
const leaf = new X509Certificate(Buffer.from(leafCertificate));
const ed = new X509Certificate(new X509Certificate(edCertificate).raw);
for (const certificate of [ca, leaf, ed]) {
	console.log(certificate);
	console.log(certificate.toLegacyObject());
	console.log(certificate.toString() === certificate.toJSON(), certificate.toString(), certificate.raw, certificate.ca, certificate.issuerCertificate);
	console.log(certificate.publicKey.asymmetricKeyType, certificate.publicKey === certificate.publicKey, certificate.publicKey.export({ type: 'spki', format: 'pem' }));
	console.log(certificate.validFromDate, certificate.validToDate instanceof Date);
}
console.log(inspect(leaf, { depth: 0 }), Object.keys(leaf), Object.prototype.toString.call(leaf));
console.log(leaf.checkIssued(ca), ca.checkIssued(leaf), ca.checkIssued(ca), ed.checkIssued(ca));
console.log(leaf.verify(ca.publicKey), ca.verify(ca.publicKey), leaf.verify(leaf.publicKey), ed.verify(ca.publicKey), ed.verify(ed.publicKey));
console.log(leaf.checkPrivateKey(crypto.createPrivateKey(ec)), leaf.checkPrivateKey(crypto.createPrivateKey(rsa)));
for (const name of ['example.com', 'EXAMPLE.com', 'x.wild.example', 'wild.example', 'x.y.wild.example', 'leaf', 'ca.example', '', '*.wild.example', '.wild.example', 'ü', 'a\0b', 'example.com.'])
	for (const options of [undefined, { subject: 'always' }, { subject: 'never' }, { wildcards: false }, { partialWildcards: false, multiLabelWildcards: true, singleLabelSubdomains: true }])
		attempt(`host ${JSON.stringify(name)} ${JSON.stringify(options)}`, () => `${leaf.checkHost(name, options)} ${ca.checkHost(name, options)}`);
for (const name of ['me@example.com', 'ME@example.com', 'me@EXAMPLE.com', 'you@example.com', '']) attempt(`email ${name}`, () => leaf.checkEmail(name));
for (const name of ['127.0.0.1', '127.0.0.2', '2001:db8::1', '2001:0db8::0001', '::1', 'nope', '']) attempt(`ip ${name}`, () => leaf.checkIP(name));
for (const bad of [undefined, 5, {}, null]) {
	attempt(`new ${bad}`, () => new X509Certificate(bad));
	attempt(`host ${bad}`, () => leaf.checkHost(bad));
	attempt(`issued ${bad}`, () => leaf.checkIssued(bad));
	attempt(`private ${bad}`, () => leaf.checkPrivateKey(bad));
	attempt(`verify ${bad}`, () => leaf.verify(bad));
	attempt(`options ${bad}`, () => leaf.checkHost('a', { subject: bad }));
}
attempt('public for private', () => leaf.checkPrivateKey(ca.publicKey));
attempt('private for public', () => leaf.verify(crypto.createPrivateKey(rsa)));
attempt('subject', () => leaf.checkHost('a', { subject: 'x' }));
attempt('no certificate', () => new X509Certificate('text'));
attempt('empty', () => new X509Certificate(''));
attempt('cut', () => new X509Certificate(ca.raw.subarray(0, 100)));
attempt('a key', () => new X509Certificate(rsa));
attempt('broken base64', () => new X509Certificate(caCertificate.replace(/[A-Z]{3}/, '***')));
attempt('without new', () => X509Certificate(caCertificate));
attempt('wrong this', () => Object.getOwnPropertyDescriptor(X509Certificate.prototype, 'subject').get.call({}));

const { Certificate } = crypto;
for (const text of [spkac, Buffer.from(spkac), '', 'text', spkac.slice(0, 50), spkac.replace('MII', 'MIJ')]) {
	attempt('spkac', () => Certificate.verifySpkac(text));
	attempt('spkac key', () => Certificate.exportPublicKey(text).toString());
	attempt('spkac challenge', () => Certificate.exportChallenge(text).toString());
}
for (const bad of [undefined, 5, {}]) attempt('spkac', () => Certificate().verifySpkac(bad));
