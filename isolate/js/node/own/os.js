// What upstream files ask of node:os.
import { os } from '../os.js';
export const { EOL, availableParallelism, homedir, hostname, release, tmpdir } = os;
