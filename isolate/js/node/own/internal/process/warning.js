import { process } from '../../../process_object.js';
export function emitWarningSync(warning, type, code) {
	process.emitWarning(warning, type, code);
}
