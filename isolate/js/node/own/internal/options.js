// Node's command line options that upstream files ask for, as they are here.

const options = {
	__proto__: null,
	'--async-context-frame': true,
	'--stack-trace-limit': 10,
	// What OpenSSL agrees on by itself, in Node's words.
	'--tls-cipher-list':
		'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:HIGH:!aNULL:!kRSA:!PSK:!SRP:!MD5:!RC4',
};

export function getOptionValue(name) {
	return options[name] ?? false;
}
