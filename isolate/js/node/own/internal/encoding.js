export { TextDecoder, TextEncoder } from '../../../encoding.js';
