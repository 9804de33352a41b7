# Compression without the engine.
add_executable(compressor_test ${CMAKE_CURRENT_LIST_DIR}/compressor_test.c)
target_link_libraries(compressor_test isolate cmocka)
add_test(NAME compressor COMMAND compressor_test)
