/** A resolved config as YAML, ready to be read again. */
import { Document, isScalar, visit } from 'yaml';

/** Every key, defaults included; lists of plain values stay on one line. */
export function formatConfig(config: object): string {
  const document = new Document(config);
  visit(document, {
    Seq(_key, list) {
      if (list.items.every(isScalar)) list.flow = true;
    },
  });
  return document.toString({ lineWidth: 100, flowCollectionPadding: false });
}
