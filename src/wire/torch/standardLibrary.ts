/**
 * The modules that come with Python: the names in them that a pickle may call, and those it may not even hold.
 * Source: sys.stdlib_module_names of CPython 3.11; the module indices of CPython 2.7 and 3.14.
 */

const MODULES = new Set(
  `
  BaseHTTPServer Bastion CGIHTTPServer ConfigParser Cookie DocXMLRPCServer HTMLParser
  MimeWriter Queue ScrolledText SimpleHTTPServer SimpleXMLRPCServer SocketServer StringIO
  Tkinter UserDict UserList UserString __builtin__ __future__ _abc _aix_support
  _android_support _apple_support _ast _asyncio _bisect _blake2 _bootlocale _bootsubprocess
  _bz2 _codecs _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw
  _collections _collections_abc _colorize _compat_pickle _compression _contextvars _crypt _csv
  _ctypes _curses _curses_panel _datetime _dbm _decimal _dummy_thread _elementtree
  _frozen_importlib _frozen_importlib_external _functools _gdbm _hashlib _heapq _hmac _imp
  _interpchannels _interpqueues _interpreters _io _ios_support _json _locale _lsprof _lzma
  _markupbase _md5 _msi _multibytecodec _multiprocessing _opcode _opcode_metadata _operator
  _osx_support _overlapped _pickle _posixshmem _posixsubprocess _py_abc _py_warnings
  _pydatetime _pydecimal _pyio _pylong _pyrepl _queue _random _remote_debugging _scproxy _sha1
  _sha256 _sha3 _sha512 _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat _statistics
  _string _strptime _struct _suggestions _symtable _sysconfig _testcapi _testinternalcapi
  _thread _threading_local _tkinter _tokenize _tracemalloc _types _typing _uuid _warnings
  _weakref _weakrefset _winapi _winreg _xxinterpchannels _xxsubinterpreters _zoneinfo _zstd
  abc aifc annotationlib antigravity anydbm argparse array ast asynchat asyncio asyncore
  atexit audioop base64 bdb binascii binhex bisect bsddb builtins bz2 cPickle cProfile
  cStringIO calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys
  commands compileall compiler compression concurrent configparser contextlib contextvars
  cookielib copy copy_reg copyreg crypt csv ctypes curses dataclasses datetime dbhash dbm
  decimal difflib dircache dis distutils dl doctest dumbdbm dummy_thread dummy_threading email
  encodings ensurepip enum errno exceptions faulthandler fcntl filecmp fileinput fnmatch
  formatter fpformat fractions ftplib functools future_builtins gc gdbm genericpath getopt
  getpass gettext glob graphlib grp gzip hashlib heapq hmac hotshot html htmlentitydefs
  htmllib http httplib idlelib ihooks imaplib imghdr imp importlib imputil inspect io
  ipaddress itertools json keyword lib2to3 linecache locale logging lzma macpath mailbox
  mailcap markupbase marshal math md5 mhlib mimetools mimetypes mimify mmap modulefinder
  msilib msvcrt multifile multiprocessing mutex netrc new nis nntplib nt ntpath nturl2path
  numbers opcode operator optparse os os2 ossaudiodev parser pathlib pdb pickle pickletools
  pipes pkgutil platform plistlib popen2 poplib posix posixpath pprint profile pstats pty pwd
  py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline repr reprlib
  resource rexec rfc822 rlcompleter robotparser runpy sched secrets select selectors sets
  sgmllib sha shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver spwd
  sqlite3 sre_compile sre_constants sre_parse ssl stat statistics statvfs string stringold
  stringprep strop struct subprocess sunau sunaudio symbol symtable sys sysconfig syslog
  tabnanny tarfile telnetlib tempfile termios textwrap this thread threading time timeit
  tkFileDialog tkMessageBox tkSimpleDialog tkinter toaiff token tokenize tomllib trace
  traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib urllib2
  urlparse uu uuid venv warnings wave weakref webbrowser whichdb winreg winsound wsgiref
  xdrlib xml xmllib xmlrpc xmlrpclib zipapp zipfile zipimport zlib zoneinfo
`
    .trim()
    .split(/\s+/),
);

/** Data classes, and the functions that pickles of plain data call: the names that may be called. */
const DATA: Readonly<Record<string, string>> = {
  argparse: 'Namespace',
  configparser: 'BasicInterpolation ConfigParser Interpolation RawConfigParser SectionProxy',
  contextlib: 'nullcontext',
  dataclasses: 'Field _FIELD_BASE _HAS_DEFAULT_FACTORY_CLASS _MISSING_TYPE',
  enum: 'auto',
  http: 'HTTPMethod HTTPStatus',
  inspect: 'Parameter Signature _ParameterKind _empty',
  ipaddress: 'IPv4Address IPv4Interface IPv4Network IPv6Address IPv6Interface IPv6Network',
  itertools: 'chain count cycle islice repeat',
  logging: 'Formatter Logger PercentStyle StrFormatStyle StringTemplateStyle getLogger',
  // How hints such as Optional[int] are pickled: a class and its parameters.
  operator: 'getitem',
  _operator: 'getitem',
  signal: 'Handlers Sigmasks Signals',
  string: 'Template',
  typing: 'ForwardRef',
  'urllib.parse': 'ParseResult SplitResult',
  array: 'array _array_reconstructor',
  collections: 'ChainMap Counter UserDict UserList UserString defaultdict deque',
  datetime: 'date datetime time timedelta timezone',
  decimal: 'Decimal',
  fractions: 'Fraction',
  functools: 'partial partialmethod',
  io: 'BytesIO StringIO',
  _io: 'BytesIO StringIO',
  pathlib: 'Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath',
  'pathlib._local': 'Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath',
  random: 'Random',
  re: 'RegexFlag _compile',
  sets: 'Set ImmutableSet',
  time: 'struct_time',
  types: 'GenericAlias MappingProxyType SimpleNamespace',
  uuid: 'SafeUUID UUID',
  zoneinfo: 'ZoneInfo ZoneInfo._unpickle',
  _codecs: 'encode',
  copyreg: '__newobj__ __newobj_ex__ _reconstructor',
  copy_reg: '__newobj__ __newobj_ex__ _reconstructor',
};

/** Names of builtins. getattr on a class, used in pickles of enums, has a rule of its own. */
const BUILTINS =
  'bool bytearray bytes complex dict enumerate float frozenset getattr int iter list long object range ' +
  'reversed set slice str tuple type unicode xrange zip';

const ALLOWED = new Set(
  Object.entries({ ...DATA, builtins: BUILTINS, __builtin__: BUILTINS }).flatMap(
    ([module, names]) => names.split(' ').map((name) => `${module}.${name}`),
  ),
);

/** Modules that exist to run programs or code, or to load either. */
const RUNNERS = new Set(
  (
    'os posix nt _winapi subprocess _posixsubprocess popen2 commands pty sys importlib imp zipimport pkgutil ' +
    '_imp _frozen_importlib _frozen_importlib_external runpy code codeop pickle _pickle cPickle marshal ' +
    'ctypes _ctypes socket _socket shutil webbrowser antigravity timeit pdb bdb'
  ).split(' '),
);

/** Builtin functions that run code, load it, or reach into a running program or its files. */
const RUNNER_BUILTINS = new Set(
  (
    '__import__ apply breakpoint compile delattr eval exec execfile file globals input locals open ' +
    'raw_input reload setattr vars'
  ).split(' '),
);

/** Modules whose capitalised names are exceptions or constants: no builtin function begins with a capital. */
const CAPITALS = new Set(['builtins', '__builtin__', 'exceptions']);

export function isStandardModule(module: string): boolean {
  return MODULES.has(module.split('.', 1)[0]!);
}

/** Whether the name in a standard module is of plain data, whose construction has no effect. */
export function isStandardData(module: string, name: string): boolean {
  return (
    ALLOWED.has(`${module}.${name}`) || (CAPITALS.has(module) && /^[A-Z][A-Za-z]*$/.test(name))
  );
}

/** Whether a name in a standard module is refused even if nothing calls it. */
export function isRunner(module: string, name: string): boolean {
  if (module === 'builtins' || module === '__builtin__') return RUNNER_BUILTINS.has(name);
  return RUNNERS.has(module.split('.', 1)[0]!);
}
