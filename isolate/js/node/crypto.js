// node:crypto: Node's own, on OpenSSL.

import './crypto/binding.js';
import crypto from './upstream/crypto.js';
import keys from './upstream/internal/crypto/keys.js';
import { restoreNames } from './names.js';
import { registerBuiltin } from './registry.js';

const { CryptoKey, KeyObject, PrivateKeyObject, PublicKeyObject, SecretKeyObject } = keys;
const { getRandomValues } = crypto; // by a getter
restoreNames({ getRandomValues, CryptoKey, KeyObject, PrivateKeyObject, PublicKeyObject, SecretKeyObject });

registerBuiltin('crypto', () => crypto);
