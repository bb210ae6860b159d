/** Every error of this package. `code` is stable and may be switched on; `message` names what was expected and what was found. */
export class VedError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A configuration file or object is malformed or inconsistent. */
export class ConfigError extends VedError {}
/** A weight file is malformed, or its tensors do not match the configuration. */
export class WeightsError extends VedError {}
/** An option of a call is unknown, of the wrong type or out of range. */
export class OptionError extends VedError {}
/** The request is well-formed but this package does not implement it. */
export class UnsupportedError extends VedError {}
/** An image could not be decoded or does not fit the model. */
export class ImageError extends VedError {}
/** A file could not be fetched from the Hub or found in its cache. */
export class HubError extends VedError {}
/** The native library or the requested device cannot be used. */
export class DeviceError extends VedError {}
/** The request would need more memory than is available or allowed. */
export class OutOfMemoryError extends VedError {}
/** The object was disposed. */
export class DisposedError extends VedError {}
