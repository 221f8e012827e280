import { crc32 } from 'node:zlib';

/** A jar, or any ZIP file, whose entries are stored as they are. */
export function jarOf(entries: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries({ 'META-INF/MANIFEST.MF': 'Manifest-Version: 1.0\n', ...entries })) {
    const [file, bytes] = [Buffer.from(name), Buffer.from(content)];
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(bytes.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(file.length, 22);
    const entry = Buffer.concat([Buffer.from('PK\x03\x04'), common, file, bytes]);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    central.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), common, place, file]));
    local.push(entry);
    offset += entry.length;
  }
  const end = Buffer.alloc(18);
  const directory = Buffer.concat(central);
  end.writeUInt16LE(central.length, 4);
  end.writeUInt16LE(central.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...local, directory, Buffer.from('PK\x05\x06'), end]);
}

/** The file by which Maven says what a jar is. */
export function pomProperties(groupId: string, artifactId: string, version: string): Record<string, string> {
  const text = `groupId=${groupId}\nartifactId=${artifactId}\nversion=${version}\n`;
  return { [`META-INF/maven/${groupId}/${artifactId}/pom.properties`]: text };
}
