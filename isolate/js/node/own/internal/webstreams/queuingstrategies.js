export { ByteLengthQueuingStrategy, CountQueuingStrategy } from '../../../../streams/strategies.js';
