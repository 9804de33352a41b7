export { createSecureContext, SecureContext } from '../../../tls/context.js';
export { translatePeerCertificate } from '../../../tls/certificate.js';
