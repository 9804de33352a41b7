# cmake --install BUILD --prefix PREFIX, with DESTDIR: what tools/install and tools/deb put on a
# machine. Programs that only tenantd starts lie in PREFIX/lib/tenantd, where it looks for them.
set(runtime lib/tenantd)
install(TARGETS tenantd RUNTIME DESTINATION sbin)
install(TARGETS tenantctl RUNTIME DESTINATION bin)
install(TARGETS tenant-zygote tenant-launcher tenant-snapshot tenantd-egress tenantd-ingress
  RUNTIME DESTINATION ${runtime})
# A snapshot is for one version of V8; with the script and tenant-snapshot it is made again.
install(FILES ${CMAKE_BINARY_DIR}/library.js ${CMAKE_BINARY_DIR}/library.snapshot
  DESTINATION ${runtime})

# What editors and compilers of TypeScript know of tenants' programs.
install(FILES isolate/types/tenantd.d.ts DESTINATION share/tenantd)

install(FILES docs/man/tenantctl.1 DESTINATION share/man/man1)
install(FILES docs/man/tenantd.8 DESTINATION share/man/man8)
install(FILES ctl/completions/bash DESTINATION share/bash-completion/completions RENAME tenantctl)
file(GLOB documents docs/*.md)
install(FILES ${documents} DESTINATION share/doc/tenantd)
install(DIRECTORY docs/examples/policies docs/examples/hello DESTINATION share/doc/tenantd/examples)

# The operator's folder does not depend on the prefix: it is where tenantd looks by itself.
install(FILES deploy/debian/policy.d.README DESTINATION /etc/tenantd/policy.d RENAME README)
install(FILES deploy/debian/default DESTINATION /etc/default RENAME tenantd)

# What names the prefix, or lies where the prefix's distribution wants it.
set(source ${CMAKE_CURRENT_SOURCE_DIR})
install(CODE "
  set(systemd ${source}/deploy/systemd)
  set(zsh share/zsh/site-functions)
  if(CMAKE_INSTALL_PREFIX STREQUAL \"/usr\")
    set(zsh share/zsh/vendor-completions)
  endif()
  # file(INSTALL) minds DESTDIR by itself, configure_file does not.
  configure_file(\${systemd}/tenantd.service.in
    \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/tenantd.service @ONLY)
  file(INSTALL \${systemd}/tenantd-http.socket \${systemd}/tenantd-https.socket
    DESTINATION \${CMAKE_INSTALL_PREFIX}/lib/systemd/system)
  file(INSTALL ${source}/ctl/completions/zsh
    DESTINATION \${CMAKE_INSTALL_PREFIX}/\${zsh} RENAME _tenantctl)
")
