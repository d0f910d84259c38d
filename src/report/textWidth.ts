/** Approximate width in pixels of a text in DejaVu Sans, to lay out legends and columns. */
export function textWidth(text: string, fontSize: number): number {
  let width = 0;
  for (const character of text) {
    if ("iljIt.,:;|!'()[] f".includes(character)) width += 0.36;
    else if ('mwMW@%'.includes(character)) width += 0.95;
    else width += 0.63;
  }
  return width * fontSize;
}
