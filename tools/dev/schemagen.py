#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""schemagen schema|protobuf FOLDER: prints the API tables of FOLDER (types.txt, resources.txt, protobuf.txt) as C.

The formats are described at the top of each file. Mistakes are reported as FILE:LINE: message, with exit status 1.
"""
import re
import sys

SCALARS = {
    'string': 'SCHEMA_STRING', 'int32': 'SCHEMA_INT32', 'int64': 'SCHEMA_INT64', 'double': 'SCHEMA_NUMBER',
    'bool': 'SCHEMA_BOOL', 'bytes': 'SCHEMA_BYTES', 'Time': 'SCHEMA_TIME', 'MicroTime': 'SCHEMA_MICROTIME',
    'Quantity': 'SCHEMA_QUANTITY', 'IntOrString': 'SCHEMA_INT_OR_STRING', 'raw': 'SCHEMA_RAW',
}
# By value these are written even when empty, as structs are.
BOXED = {'Time', 'MicroTime', 'Quantity', 'IntOrString', 'raw'}
VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection', 'connect']
STANDARD = VERBS[:8]
PB_SCALARS = {
    'string': 'PB_STRING', 'int32': 'PB_INT', 'int64': 'PB_INT', 'double': 'PB_DOUBLE', 'bool': 'PB_BOOL',
    'bytes': 'PB_BYTES', 'Quantity': 'PB_QUANTITY', 'IntOrString': 'PB_INT_OR_STRING', 'Time': 'PB_TIME',
    'MicroTime': 'PB_MICROTIME', 'RawBytes': 'PB_RAW',
}


class Mistake(Exception):
    pass


class Line:
    """One line of a table, split into words."""

    def __init__(self, path, number, text):
        self.path, self.number = path, number
        self.indented = text[:1].isspace()
        self.words = text.split()

    def fail(self, message):
        raise Mistake(f'{self.path}:{self.number}: {message}')

    def want(self, count, what):
        if len(self.words) < count:
            self.fail(f'expected: {what}')


def read_lines(path):
    with open(path, encoding='utf-8') as f:
        for number, text in enumerate(f, 1):
            if text.strip() and not text.startswith('#'):
                yield Line(path, number, text)


def quote(text):
    return 'NULL' if text is None else '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def group_name(word):
    return '' if word == '-' else word


# ---- types.txt


class Struct:
    def __init__(self, line, package, name, kind):
        self.line, self.package, self.kind = line, package, kind
        self.short = name
        self.name = f'{package.name}.{name}'
        self.atomic = False
        self.fields = {}


class Package:
    def __init__(self, line):
        line.want(3, 'package ALIAS NAME [group=G version=V]')
        self.alias, self.name = line.words[1:3]
        self.group = self.version = None
        for word in line.words[3:]:
            key, _, value = word.partition('=')
            if key not in ('group', 'version') or not value:
                line.fail(f'unknown package mark "{word}"')
            setattr(self, key, group_name(value))


class Field:
    def __init__(self, line, struct):
        line.want(2, 'FIELD TYPE [MARK...]')
        self.line, self.struct = line, struct
        self.name, self.type = line.words[0], line.words[1]
        self.marks, self.args = set(), {}
        for word in line.words[2:]:
            m = re.fullmatch(r'(\w+)(?:\(([^()]+)\))?', word)
            if not m or m[1] not in ('required', 'omitempty', 'written', 'omitzero', 'set', 'map', 'merge', 'retainKeys',
                                     'atomic') or (m[1] == 'map') != bool(m[2]) and m[1] != 'merge':
                line.fail(f'unknown mark "{word}"')
            if m[1] in self.marks:
                line.fail(f'mark "{word}" given twice')
            self.marks.add(m[1])
            if m[2]:
                self.args[m[1]] = m[2].split(',')
        self.pointer = self.type.startswith('*')
        self.type = self.type.lstrip('*')
        is_list = self.type.startswith('[]')
        for mark in ('set', 'map', 'merge'):
            if mark in self.marks and not is_list:
                line.fail(f'"{mark}" is for lists only')
        if 'written' in self.marks and 'required' in self.marks:
            line.fail('a required field is written anyhow')


class Types:
    def __init__(self, path):
        self.structs, self.packages = {}, {}
        package = struct = None
        for line in read_lines(path):
            word = line.words[0]
            if line.indented:
                if not struct:
                    line.fail('a field outside of a struct')
                field = Field(line, struct)
                if field.name in struct.fields:
                    line.fail(f'{struct.short} has "{field.name}" twice')
                struct.fields[field.name] = field
            elif word == 'package':
                package, struct = Package(line), None
                if package.alias in self.packages:
                    line.fail(f'package "{package.alias}" given twice')
                self.packages[package.alias] = package
            elif word in ('kind', 'struct') and package:
                struct = self.add(line, package, word == 'kind')
            else:
                line.fail(f'expected package, kind or struct, not "{word}"')
        self.index = {name: i for i, name in enumerate(sorted(self.structs))}
        for s in self.structs.values():
            if len(s.fields) > 64:
                s.line.fail(f'{s.short} has more than 64 fields: readers keep one bit for each')
            for field in s.fields.values():
                self.check(field, field.type)

    def add(self, line, package, kind):
        line.want(2, 'struct NAME [atomic]')
        struct = Struct(line, package, line.words[1], kind)
        if kind and package.version is None:
            line.fail(f'package {package.alias} has no group and version for a kind')
        if line.words[2:] not in ([], ['atomic']):
            line.fail(f'unknown struct mark "{line.words[2]}"')
        struct.atomic = len(line.words) > 2
        if struct.name in self.structs:
            line.fail(f'{struct.name} is there already, in line {self.structs[struct.name].line.number}')
        self.structs[struct.name] = struct
        if kind:
            for name in ('apiVersion', 'kind'):
                field = Field(Line(line.path, line.number, f' {name} string'), struct)
                struct.fields[name] = field
        return struct

    def resolve(self, field, name):
        alias, _, short = name.rpartition('.')
        package = self.packages.get(alias) if alias else field.struct.package
        struct = self.structs.get(f'{package.name}.{short}') if package else None
        if not struct:
            field.line.fail(f'unknown type "{name}"')
        return struct

    def check(self, field, text):
        if text.startswith('[]'):
            self.check(field, text[2:])
        elif text.startswith('map[') and text.endswith(']'):
            self.check(field, text[4:-1])
        elif text not in SCALARS:
            self.resolve(field, text)


class TypeWriter:
    """Prints schema_structs; element types and key lists are shared among fields."""

    def __init__(self, types):
        self.types = types
        self.elems, self.keys, self.out = {}, {}, []

    def keys_ref(self, keys):
        keys = tuple(keys)
        if keys not in self.keys:
            self.keys[keys] = f'keys_{len(self.keys)}'
            self.out.append(f'static const char *const {self.keys[keys]}[] = {{ {", ".join(map(quote, keys))}, NULL }};')
        return self.keys[keys]

    def elem_ref(self, field, text):
        init = self.type_init(field, text, None)
        if init not in self.elems:
            self.elems[init] = f'elem_{len(self.elems)}'
            self.out.append(f'static const struct schema_type {self.elems[init]} = {init};')
        return '&' + self.elems[init]

    def type_init(self, field, text, marks):
        parts = []
        if text.startswith('[]'):
            parts += ['.kind = SCHEMA_ARRAY', '.elem = ' + self.elem_ref(field, text[2:])]
        elif text.startswith('map['):
            parts += ['.kind = SCHEMA_MAP', '.elem = ' + self.elem_ref(field, text[4:-1])]
        elif text in SCALARS:
            parts.append('.kind = ' + SCALARS[text])
        else:
            struct = self.types.resolve(field, text)
            parts += ['.kind = SCHEMA_OBJECT', f'.object = &schema_structs[{self.types.index[struct.name]}]']
            if struct.atomic:
                parts.append('.atomic = true')
        if marks is not None:
            parts += self.marks_init(field, marks, parts)
        return '{ ' + ', '.join(parts) + ' }'

    def marks_init(self, field, marks, parts):
        out = []
        if 'set' in marks:
            out.append('.list = SCHEMA_LIST_SET')
        if 'map' in marks:
            out += ['.list = SCHEMA_LIST_MAP', '.keys = ' + self.keys_ref(field.args['map'])]
        if 'merge' in marks:
            out.append('.merge = true')
            if 'merge' in field.args:
                out.append('.merge_key = ' + quote(field.args['merge'][0]))
        if 'retainKeys' in marks:
            out.append('.retain_keys = true')
        if 'atomic' in marks and '.atomic = true' not in parts:
            out.append('.atomic = true')
        return out

    def flags(self, field):
        text, flags = field.type, []
        container = text.startswith(('[]', 'map['))
        by_value = not field.pointer and not container and (text not in SCALARS or text in BOXED)
        if 'required' in field.marks:
            flags.append('SCHEMA_REQUIRED')
        if 'written' in field.marks or 'required' in field.marks and 'omitempty' not in field.marks:
            flags.append('SCHEMA_WRITTEN')
        if field.pointer:
            flags.append('SCHEMA_POINTER')
        if by_value and 'omitzero' not in field.marks:
            flags.append('SCHEMA_ALWAYS')
        return ' | '.join(flags) or '0'

    def write(self):
        order = sorted(self.types.structs)
        bodies, table = [], []
        for i, name in enumerate(order):
            struct = self.types.structs[name]
            rows = []
            for field in sorted(struct.fields.values(), key=lambda f: f.name):
                init = self.type_init(field, field.type, field.marks)
                rows.append(f'        {{ {quote(field.name)}, {init}, {self.flags(field)} }},')
            if rows:
                bodies += [f'static const struct schema_field fields_{i}[] = {{', *rows, '};']
            ref = f'fields_{i}' if rows else 'NULL'
            table.append(f'        {{ {quote(name)}, {ref}, {len(rows)} }},')
        print(*self.out, *bodies, sep='\n')
        print(f'const struct schema_struct schema_structs[{len(order)}] = {{', *table, '};', sep='\n')
        print(f'const size_t schema_nstructs = {len(order)};')


# ---- resources.txt


class Resource:
    def __init__(self, line, group, version):
        line.want(4, 'resource PLURAL KIND namespaced|cluster')
        self.line, self.group, self.version = line, group, version
        _, self.plural, self.kind, scope = line.words[:4]
        if scope not in ('namespaced', 'cluster'):
            line.fail(f'"{scope}" is neither namespaced nor cluster')
        self.namespaced = scope == 'namespaced'
        self.verbs, self.short, self.categories, self.subs = [], [], [], []


def verb_mask(line, words):
    words = STANDARD if words == ['standard'] else words
    for word in words:
        if word not in VERBS:
            line.fail(f'unknown verb "{word}"')
    return ' | '.join('VERB_' + v.upper() for v in VERBS if v in words) or '0'


def read_resources(path):
    resources, group, seen = [], None, set()
    for line in read_lines(path):
        word, rest = line.words[0], line.words[1:]
        if word == 'group' and not line.indented:
            line.want(3, 'group NAME VERSION')
            group = (group_name(rest[0]), rest[1])
        elif word == 'resource' and group and not line.indented:
            resources.append(Resource(line, *group))
            key = (*group, resources[-1].plural)
            if key in seen:
                line.fail(f'{resources[-1].plural} given twice')
            seen.add(key)
        elif line.indented and resources and word == 'verbs':
            resources[-1].verbs = verb_mask(line, rest)
        elif line.indented and resources and word in ('short', 'categories'):
            setattr(resources[-1], word, rest)
        elif line.indented and resources and word == 'sub':
            line.want(5, 'sub NAME GROUP/VERSION KIND VERB...')
            if rest[0] in [s[0] for s in resources[-1].subs]:
                line.fail(f'subresource {rest[0]} given twice')
            sub_group, _, version = rest[1].rpartition('/')
            resources[-1].subs.append((rest[0], group_name(sub_group), version, rest[2], verb_mask(line, rest[3:])))
        else:
            line.fail(f'unexpected "{word}"')
    return resources


class ResourceWriter:
    def __init__(self, types, resources):
        self.types, self.resources = types, resources
        self.kinds = {}
        for s in types.structs.values():
            if s.kind:
                self.kinds[(s.short, s.package.group, s.package.version)] = s

    def struct_ref(self, kind, group, version):
        struct = self.kinds.get((kind, group, version))
        return f'&schema_structs[{self.types.index[struct.name]}]' if struct else 'NULL'

    def strings(self, name, words):
        if not words:
            return 'no_strings'
        print(f'static const char *const {name}[] = {{ {", ".join(map(quote, words))}, NULL }};')
        return name

    def subs(self, i, r):
        if not r.subs:
            return 'NULL'
        rows = [f'        {{ {quote(n)}, {quote(g)}, {quote(v)}, {quote(k)}, {verbs}, {self.struct_ref(k, g, v)} }},'
                for n, g, v, k, verbs in sorted(r.subs)]
        print(f'static const struct schema_subresource subs_{i}[] = {{', *rows, '};', sep='\n')
        return f'subs_{i}'

    def write(self):
        print('static const char *const no_strings[] = { NULL };')
        rows = []
        for i, r in enumerate(self.resources):
            ref = self.struct_ref(r.kind, r.group, r.version)
            if ref == 'NULL':
                r.line.fail(f'types.txt has no kind {r.kind} in {r.group}/{r.version}')
            if not r.verbs:
                r.line.fail(f'{r.plural} has no verbs')
            short, categories = self.strings(f'short_{i}', r.short), self.strings(f'categories_{i}', r.categories)
            subs = self.subs(i, r)
            rows.append(f'        {{ {quote(r.group)}, {quote(r.version)}, {quote(r.plural)}, {quote(r.kind.lower())}, '
                        f'{quote(r.kind)}, {str(r.namespaced).lower()}, {r.verbs}, {short}, {categories}, {subs}, '
                        f'{len(r.subs)}, {ref} }},')
        print(f'const struct schema_resource schema_resources[{len(rows)}] = {{', *rows, '};', sep='\n')
        print(f'const size_t schema_nresources = {len(rows)};')
        self.write_index('schema_by_plural', lambda r: (r.plural, r.group, r.version))
        self.write_index('schema_by_kind', lambda r: (r.kind, r.group, r.version))
        self.write_kinds()

    def write_index(self, name, key):
        order = sorted(range(len(self.resources)), key=lambda i: key(self.resources[i]))
        print(f'const uint8_t {name}[] = {{ {", ".join(map(str, order))} }};')

    def write_kinds(self):
        rows = [f'        {{ {quote(k)}, {quote(g)}, {quote(v)}, &schema_structs[{self.types.index[s.name]}] }},'
                for (k, g, v), s in sorted(self.kinds.items(), key=lambda item: item[0])]
        print('const struct schema_kind_entry schema_kinds[] = {', *rows, '};', sep='\n')
        print(f'const size_t schema_nkinds = {len(rows)};')


# ---- protobuf.txt


class Message:
    def __init__(self, line, package, name):
        self.line, self.package, self.short, self.name = line, package, name, f'{package.name}.{name}'
        if line.words[2:] not in ([], ['bare']):
            line.fail(f'unknown message mark "{line.words[2]}"')
        self.bare = len(line.words) > 2
        self.fields = {}

    def add(self, line):
        line.want(3, 'NUMBER FIELD [inline] TYPE')
        inline = line.words[2] == 'inline'
        number, name, text = line.words[0], line.words[1], line.words[-1]
        if not number.isdigit() or not 0 < int(number) < 65536 or len(line.words) != 3 + inline:
            line.fail('expected: NUMBER FIELD [inline] TYPE')
        if int(number) in self.fields:
            line.fail(f'{self.short} has field {number} twice')
        self.fields[int(number)] = (line, name, text, inline)


def read_messages(path):
    packages, messages, package, message = {}, {}, None, None
    for line in read_lines(path):
        if line.indented:
            if not message:
                line.fail('a field outside of a message')
            message.add(line)
        elif line.words[0] == 'package':
            package, message = Package(line), None
            packages[package.alias] = package
        elif line.words[0] == 'message' and package:
            line.want(2, 'message NAME [bare]')
            message = Message(line, package, line.words[1])
            if message.name in messages:
                line.fail(f'{message.name} given twice')
            messages[message.name] = message
        else:
            line.fail(f'expected package or message, not "{line.words[0]}"')
    return packages, messages


def check_field(types, message, line, name, inline):
    """A field that JSON does not have would be decoded only to be dropped."""
    struct = types.structs.get(message.name)
    if struct and not inline and not message.bare and name not in struct.fields:
        line.fail(f'types.txt has no field "{name}" in {message.short}')


def write_protobuf(types, packages, messages):
    order = sorted(messages)
    index = {name: i for i, name in enumerate(order)}
    table = []
    for i, name in enumerate(order):
        message, rows = messages[name], []
        for number, (line, field, text, inline) in sorted(message.fields.items()):
            check_field(types, message, line, field, inline)
            shape = 'PB_ONE'
            if text.startswith('[]'):
                shape, text = 'PB_REPEATED', text[2:]
            elif text.startswith('map[') and text.endswith(']'):
                shape, text = 'PB_MAP', text[4:-1]
            elif inline:
                shape = 'PB_INLINE'
            kind, ref = PB_SCALARS.get(text, 'PB_MESSAGE'), 'NULL'
            if kind == 'PB_MESSAGE':
                alias, _, short = text.rpartition('.')
                package = packages.get(alias) if alias else message.package
                target = f'{package.name}.{short}' if package else ''
                if target not in index:
                    line.fail(f'unknown message "{text}"')
                ref = f'&pb_messages[{index[target]}]'
            rows.append(f'        {{ {number}, {kind}, {shape}, {quote(field)}, {ref} }},')
        if rows:
            print(f'static const struct pb_field fields_{i}[] = {{', *rows, '};', sep='\n')
        table.append(f'        {{ {quote(name)}, {f"fields_{i}" if rows else "NULL"}, {len(rows)}, '
                     f'{str(message.bare).lower()} }},')
    print(f'const struct pb_message pb_messages[{len(order)}] = {{', *table, '};', sep='\n')
    print(f'const size_t pb_nmessages = {len(order)};')


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ('schema', 'protobuf'):
        sys.exit(__doc__)
    folder = sys.argv[2]
    try:
        types = Types(f'{folder}/types.txt')
        print('/* Generated by tools/dev/schemagen.py from userspace/kube/schema: do not edit. */')
        if sys.argv[1] == 'schema':
            resources = read_resources(f'{folder}/resources.txt')
            print('#include "kube/schema_index.h"\n')
            TypeWriter(types).write()
            ResourceWriter(types, resources).write()
        else:
            print('#include "apiserver/codec/protobuf.h"\n')
            write_protobuf(types, *read_messages(f'{folder}/protobuf.txt'))
    except (Mistake, OSError) as e:
        sys.exit(f'{e}')


main()
