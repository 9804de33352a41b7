if(TENANTD_FUZZ)
  pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
  add_executable(crypto_key_fuzz crypto_key_fuzz.c ${CMAKE_SOURCE_DIR}/isolate/crypto_bytes.c
    ${CMAKE_SOURCE_DIR}/isolate/crypto_key_read.c ${CMAKE_SOURCE_DIR}/isolate/crypto_key_write.c)
  target_compile_options(crypto_key_fuzz PRIVATE -fsanitize=fuzzer)
  target_link_options(crypto_key_fuzz PRIVATE -fsanitize=fuzzer)
  target_link_libraries(crypto_key_fuzz PkgConfig::OPENSSL)
endif()
