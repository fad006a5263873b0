/** The nonce of this page's Content Security Policy, which styles made at run time must carry. */
export function styleNonce(): string {
  return document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce ?? "";
}
