export { File } from '../../../blob.js';
