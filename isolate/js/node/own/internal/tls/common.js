export { createSecureContext, SecureContext } from '../../../tls/context.js';
