// internalBinding('crypto'), as far as upstream/tls.js asks: the authorities are the
// system's, which the supervisor's machine keeps.

import { native } from '../../native.js';

// What tls.setDefaultCACertificates was given; undefined: the system's.
let given;
export function defaultAuthorities() {
	return given;
}

const rootCertificates = () => native.tlsRootCertificates();

export const cryptoBinding = {
	getBundledRootCertificates: rootCertificates,
	getSystemCACertificates: rootCertificates,
	getExtraCACertificates: () => [],
	getUserRootCertificates: () => given,
	resetRootCertStore(list) {
		given = list.slice();
	},
	getSSLCiphers: () => native.tlsCiphers(),
	getCertificateCompressionAlgorithms: () => [],
	startLoadingCertificatesOffThread() {},
};
