# What a worker knows of its permissions, and of its descriptors. (node:fs as a whole:
# test/integration/fs_test.py.)
add_executable(permission_test ${CMAKE_CURRENT_LIST_DIR}/permission_test.c)
target_link_libraries(permission_test isolate cmocka)
add_test(NAME permission COMMAND permission_test)
